# Removes a directory when its owner ends, even by kill -9.
#
#   sh -c '<this>' <name> <directory>
#
# Standard input is a pipe whose other end the owner alone holds. A line on it says that there is nothing left to do.
read -r _ && exit

# The programs in the directory are ending at the same time and may still write, and an initdb that just starts would make
# the directory anew: hence until it has been away for a second.
tries=400 away=0
while [ "$away" -lt 20 ] && [ "$tries" -gt 0 ]; do
    away=$((away + 1)) tries=$((tries - 1))
    [ -e "$1" ] && away=0
    rm -rf -- "$1"
    sleep 0.05 || sleep 1
done

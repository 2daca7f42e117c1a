# The parent of a Postgres program, which ends it when its owner ends, even by kill -9.
#
#   sh -c '<this>' <name> <signal> <program> <arguments>...
#
# Standard input is a pipe whose other end the owner alone holds. A line on it is an order to stop and names the signal.
# Its end without one means that the owner is gone, and <signal> is sent. This script runs for as long as the program and
# exits with its code.
signal=$1
shift

# Commands in the background get /dev/null for standard input, hence the copy.
exec 3<&0
"$@" 3<&- &
program=$!

(
    read -r order <&3 && signal=$order
    # Again and again, because a program that is just starting ignores the first: so do all commands in the background.
    while kill -s "$signal" "$program" 2>/dev/null; do
        sleep 0.02 || sleep 1
    done
) &
guard=$!

wait "$program"
code=$?
kill -s TERM "$guard" 2>/dev/null
# Whoever waits for this script is to find nothing left of it.
wait "$guard" 2>/dev/null
exit "$code"

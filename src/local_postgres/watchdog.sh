# The parent of a Postgres program, which ends it when its owner ends, even by kill -9.
#
#   sh -c '<this>' <name> <signal> <doomed> <program> <arguments>...
#
# Standard input is a pipe whose other end the owner alone holds. A line on it is an order to stop and names the signal.
# Its end without one means that the owner is gone: then <signal> is sent and the directory <doomed>, if not empty, is
# removed. This script runs for exactly as long as the program and exits with its code.
signal=$1 doomed=$2
shift 2

# Commands in the background get /dev/null for standard input, hence the copy.
exec 3<&0
"$@" 3<&- &
program=$!

(
    read -r order <&3
    ended=$?
    [ "$ended" -eq 0 ] && signal=$order
    # From here on the program's end must not take this subshell with it: its exit code is the answer.
    trap '' TERM
    # Again and again, because a program that is just starting ignores the first: so do all commands in the background.
    while kill -s "$signal" "$program" 2>/dev/null; do
        sleep 0.02 || sleep 1
    done
    exit "$ended"
) &
guard=$!

wait "$program"
code=$?
kill -s TERM "$guard" 2>/dev/null
wait "$guard"
if [ $? -eq 1 ] && [ -n "$doomed" ]; then
    rm -rf -- "$doomed"
fi
exit "$code"

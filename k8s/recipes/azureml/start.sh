#!/bin/sh
# Starts the model (the arguments) and Taffrail before it, in one container. Told to end, it does what a native
# sidecar and a preStop sleep do in a pod: clients are told to leave, requests still come for SLEEP_BEFORE_END
# seconds, the model ends, and Taffrail after it.
set -u
taffrail_program=${TAFFRAIL_PROGRAM:-/usr/local/bin/taffrail}
unset TAFFRAIL_PROGRAM

"$taffrail_program" run &
taffrail=$!
"$@" &
model=$!

end() {
    trap '' TERM INT
    "$taffrail_program" drain || echo "start.sh: clients could not be told to leave" >&2
    sleep "${SLEEP_BEFORE_END:-10}"
    kill -TERM "$model" 2>/dev/null
    wait "$model"
    kill -TERM "$taffrail" 2>/dev/null
    wait "$taffrail"
    exit $?
}
trap end TERM INT

# Without either of the two the container answers nobody: it ends, and is started anew.
while kill -0 "$model" 2>/dev/null && kill -0 "$taffrail" 2>/dev/null; do
    sleep 1 &
    wait $!
done
echo "start.sh: the model or Taffrail has ended" >&2
kill -TERM "$model" "$taffrail" 2>/dev/null
wait
exit 1

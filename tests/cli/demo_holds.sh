#!/bin/sh
# The demo ends well, counts what it claims, leaves a vault that verifies, and its last words are commands that work.
set -eu
hubvault=$1
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
"$hubvault" demo >out 2>err || { cat out err; exit 1; }
test ! -s err
grep -q '3012 sent, 3012 in the vault: 0 lost, 0 doubled' out
grep -q 'is killed (SIGKILL' out
grep -q 'the same as before' out
tail -n 3 out | while read -r program words; do
    test "$program" = hubvault
    eval "'$hubvault' $words" >again 2>notes </dev/null
    test -s again
done
"$hubvault" --config hubvault-demo/hubvault.conf verify >verified
if "$hubvault" demo >out 2>err; then echo 'a second demo overwrote the first'; exit 1; fi
grep -q "'hubvault-demo' is there already" err

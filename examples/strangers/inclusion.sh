#!/usr/bin/env bash
# Prints the entry of a .tlog-proof file if it is in the tree of the file's checkpoint, by sha256sum alone (README.md).
set -euo pipefail
hash() { printf "$(sed 's/../\\x&/g')" | sha256sum | cut -d ' ' -f 1; }
hex() { base64 -d <<< "$1" | od -A n -v -t x1 | tr -d ' \n'; }
number='^(0|[1-9][0-9]{0,17})$'
{ read -r first; read -r _ extra; read -r _ index; } < "$1"
mapfile -t proof < <(sed '1,3d;/^$/,$d' "$1")
mapfile -t checkpoint < <(sed '1,/^$/d' "$1")
[[ $first == c2sp.org/tlog-proof@v1 && $index =~ $number && ${checkpoint[1]} =~ $number ]]
entry=$(base64 -d <<< "$extra" | sed -E 's/^\{"entry":"(([^"\\]|\\.)*)".*/\1/; s/\\(.)/\1/g')
found=$({ printf '\0'; printf %s "$entry"; } | sha256sum | cut -d ' ' -f 1)
at=$index last=$((checkpoint[1] - 1))
((at <= last))
for line in "${proof[@]}"; do
  sibling=$(hex "$line")
  ((${#sibling} == 64 && last > 0))
  if ((at % 2 == 1 || at == last)); then
    found=$(hash <<< "01$sibling$found")
    while ((at % 2 == 0 && at > 0)); do at=$((at / 2)) last=$((last / 2)); done
  else
    found=$(hash <<< "01$found$sibling")
  fi
  at=$((at / 2)) last=$((last / 2))
done
((last == 0))
[[ $found == "$(hex "${checkpoint[2]}")" ]]
printf '%s\nis entry %s of the %s entries of %s\n' "$entry" "$index" "${checkpoint[1]}" "${checkpoint[0]}"

#!/usr/bin/env bash
# Shows that a log still begins with what it was at a checkpoint that you kept, by sha256sum alone (README.md).
set -euo pipefail
hash() { printf "$(sed 's/../\\x&/g')" | sha256sum | cut -d ' ' -f 1; }
hex() { base64 -d <<< "$1" | od -A n -v -t x1 | tr -d ' \n'; }
number='^(0|[1-9][0-9]{0,17})$'
if [[ $(head -n 1 "$1") == c2sp.org/tlog-proof@v1 ]]; then above='1,/^$/d'; else above=''; fi
mapfile -t old < <(sed "$above" "$1")
mapfile -t new < <(sed '1,/^$/d' "$2")
mapfile -t lines < <(sed '1d;/^$/,$d' "$2")
[[ ${old[1]} =~ $number && ${new[1]} =~ $number && ${old[0]} == "${new[0]}" && $(head -n 1 "$2") == "old ${old[1]}" ]]
first=${old[1]} last=${new[1]} before=$(hex "${old[2]}") after=$(hex "${new[2]}") proof=()
((first <= last))
for line in "${lines[@]}"; do proof+=("$(hex "$line")"); done
if ((first == 0 || first == last)); then
  [[ ${#proof[@]} == 0 && ($first == 0 || $before == "$after") ]]
else
  if (((first & (first - 1)) == 0)); then proof=("$before" "${proof[@]}"); fi
  at=$((first - 1)) end=$((last - 1))
  while ((at % 2 == 1)); do at=$((at / 2)) end=$((end / 2)); done
  left=${proof[0]} whole=${proof[0]}
  for sibling in "${proof[@]:1}"; do
    ((${#sibling} == 64 && end > 0))
    if ((at % 2 == 1 || at == end)); then
      left=$(hash <<< "01$sibling$left") whole=$(hash <<< "01$sibling$whole")
      while ((at % 2 == 0 && at > 0)); do at=$((at / 2)) end=$((end / 2)); done
    else
      whole=$(hash <<< "01$whole$sibling")
    fi
    at=$((at / 2)) end=$((end / 2))
  done
  ((end == 0))
  [[ $left == "$before" && $whole == "$after" ]]
fi
printf 'the %s entries of %s begin with the %s entries of the checkpoint that was kept\n' "$last" "${new[0]}" "$first"

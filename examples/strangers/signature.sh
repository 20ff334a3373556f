#!/usr/bin/env bash
# Checks the log's signature of a checkpoint, or of the one in a proof, by openssl alone (README.md).
set -euo pipefail
file=$(realpath "$1") folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
IFS=+ read -r name id key <<< "$2"
case $(head -n 1 "$file") in
  c2sp.org/tlog-proof@v1 | old\ *) sed '1,/^$/d' "$file" > checkpoint ;;
  *) cp "$file" checkpoint ;;
esac
sed '/^$/,$d' checkpoint > text
[[ $(head -n 1 text) == "$name" ]]
base64 -d <<< "$key" > typed
[[ $(head -c 1 typed | od -A n -t x1) == " 01" && $(wc -c < typed) == 33 ]]
[[ $({ printf '%s\n' "$name"; cat typed; } | sha256sum | head -c 8) == "$id" ]]
{ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; tail -c 32 typed; } > key
while read -r dash signer signature; do
  base64 -d <<< "$signature" > signed
  [[ $dash == — && $signer == "$name" && $(head -c 4 signed | od -A n -t x1 | tr -d ' ') == "$id" ]] || continue
  tail -c +5 signed > signature
  openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in text -sigfile signature
  exit
done < <(sed '1,/^$/d' checkpoint)
exit 1

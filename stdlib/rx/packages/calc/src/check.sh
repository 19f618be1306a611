# Expressions and what they are.
set -eu
is() {
    got=$(./calc "$1")
    [ "$got" = "$2" ] || { echo "$1 gave $got, not $2" >&2; exit 1; }
}
is '1 + 2 * 3' 7
is '(1 + 2) * 3' 9
is '2 ^ 3 ^ 2' 512
is '-4 / 8' -0.5
is '10 % 4' 2
! ./calc '1 +' 2> /dev/null
! ./calc '1 2' 2> /dev/null

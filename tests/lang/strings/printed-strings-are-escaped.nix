[ "a\"b" "a\\b" "a\nb" "\${x}" "$x" "a\tb" ]

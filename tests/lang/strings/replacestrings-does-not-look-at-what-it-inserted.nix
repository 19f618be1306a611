builtins.replaceStrings [ "a" "b" ] [ "b" "a" ] "abba"

builtins.replaceStrings [ "a" "b" ] [ "x" (throw "no") ] "aaa"

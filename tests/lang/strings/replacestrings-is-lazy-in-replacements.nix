builtins.replaceStrings [ "x" "a" ] [ (throw "never") "b" ] "aaa"

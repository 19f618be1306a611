builtins.match "((a)(b(c)))d" "abcd"

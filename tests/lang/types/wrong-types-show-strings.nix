builtins.length "a\nb\"\${c}"

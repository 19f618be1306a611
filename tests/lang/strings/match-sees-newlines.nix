builtins.match "(.*)\n(.*)" "a\nb"

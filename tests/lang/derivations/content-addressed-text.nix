builtins.toFile "script" "echo ${"hi"}\n"

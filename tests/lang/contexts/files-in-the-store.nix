builtins.getContext "${builtins.toFile "name" "content"}"

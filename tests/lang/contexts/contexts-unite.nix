let f = n: builtins.toFile n n; in builtins.attrNames (builtins.getContext "${f "a"}${f "b"}${f "a"}")

builtins.intersectAttrs { } null

builtins.elem (throw "never") [ ]

map builtins.typeOf [ 1 1.0 "a" true null [ ] { } (x: x) /a builtins.add (builtins.add 1) ]

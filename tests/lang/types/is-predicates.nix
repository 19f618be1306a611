let v = [ 1 1.5 "a" /a null true { } [ ] (x: x) ]; b = builtins; in map (p: map p v) [ b.isInt b.isFloat b.isString b.isPath b.isNull b.isBool b.isAttrs b.isList b.isFunction ]

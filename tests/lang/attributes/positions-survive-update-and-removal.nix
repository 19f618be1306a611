let s = removeAttrs ({ a = 1;
 b = 2; } // {
   c = 3;
 }) [ "a" ]; in map (n: (builtins.unsafeGetAttrPos n s).line) (builtins.attrNames s)

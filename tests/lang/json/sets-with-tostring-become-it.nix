builtins.toJSON { __toString = self: "t"; outPath = "/x"; }

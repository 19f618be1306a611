{ __toString = self: throw "left"; } + (throw "right")

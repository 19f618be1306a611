throw { __toString = self: "me"; }

let x = "b"; in "a${x}c${"d" + "e"}"

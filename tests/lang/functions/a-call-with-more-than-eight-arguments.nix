let f = a: b: c: d: e: f: g: h: i: j: [ a b c d e f g h i j ]; in f 1 2 3 4 5 6 7 8 9 (4 + 6)

let n = "b"; in { a.b = 5; }.a.${n}

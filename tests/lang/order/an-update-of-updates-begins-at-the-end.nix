{ } // (throw "middle") // 1

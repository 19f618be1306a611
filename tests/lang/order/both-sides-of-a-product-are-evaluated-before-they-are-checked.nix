{ } * (throw "right")

/* calc EXPRESSION: + - * / % ^, parentheses, and numbers.

   sum     = product (("+" | "-") product)*
   product = power (("*" | "/" | "%") power)*
   power   = atom ("^" power)?
   atom    = "-" atom | "(" sum ")" | number */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *at;
static int depth;

static double sum(void);

static void fail(const char *what)
{
    fprintf(stderr, "calc: expected %s before '%s'\n", what, at);
    exit(1);
}

static int take(char c)
{
    while (isspace((unsigned char)*at))
        at++;
    if (*at != c)
        return 0;
    at++;
    return 1;
}

static double atom(void)
{
    if (++depth > 1000)
        fail("fewer parentheses");
    double value;
    if (take('-'))
        value = -atom();
    else if (take('(')) {
        value = sum();
        if (!take(')'))
            fail("')'");
    } else {
        char *end;
        value = strtod(at, &end);
        if (end == at)
            fail("a number");
        at = end;
    }
    depth--;
    return value;
}

static double power(void)
{
    double base = atom();
    return take('^') ? pow(base, power()) : base;
}

static double product(void)
{
    double value = power();
    for (;;)
        if (take('*'))
            value *= power();
        else if (take('/'))
            value /= power();
        else if (take('%'))
            value = fmod(value, power());
        else
            return value;
}

static double sum(void)
{
    double value = product();
    for (;;)
        if (take('+'))
            value += product();
        else if (take('-'))
            value -= product();
        else
            return value;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: calc EXPRESSION\n");
        return 2;
    }
    at = argv[1];
    double value = sum();
    if (!take('\0'))
        fail("the end");
    printf("%.15g\n", value);
    return 0;
}

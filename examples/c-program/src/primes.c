/* primes LIMIT: the prime numbers up to a limit. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    long limit = argc > 1 ? atol(argv[1]) : 100;
    const char *between = "";
    for (long number = 2; number <= limit; number++) {
        long divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0)
            divisor++;
        if (divisor * divisor > number) {
            printf("%s%ld", between, number);
            between = " ";
        }
    }
    putchar('\n');
    return 0;
}

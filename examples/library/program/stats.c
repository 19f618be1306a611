/* Numbers from standard input: how many, their mean and deviation. */
#include <stats.h>
#include <stdio.h>

int main(void)
{
    double values[1000];
    size_t count = 0;
    while (count < 1000 && scanf("%lf", &values[count]) == 1)
        count++;
    printf("n=%zu mean=%g deviation=%g\n", count, stats_mean(values, count), stats_deviation(values, count));
    return 0;
}

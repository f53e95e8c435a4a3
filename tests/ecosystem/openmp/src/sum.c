int sum(int count) {
    int sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(3)
    for (int i = 1; i <= count; i++)
        sum += i;
    return sum;
}

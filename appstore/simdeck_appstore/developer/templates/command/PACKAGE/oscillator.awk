# A damped oscillator, step by step: an example of a program that knows nothing of Simdeck.
# Reads "mass", "stiffness", "damping", "start" and "steps" from its input file, a name and a value a line.
{ value[$1] = $2 }
END {
    mass = value["mass"]; stiffness = value["stiffness"]; damping = value["damping"]
    x = value["start"]; v = 0; largest = (x < 0 ? -x : x); crossings = 0; step = 0.01
    if (damping * damping >= 4 * mass * stiffness) {
        print "overdamped: it comes to rest without swinging" > "/dev/stderr"
        exit_status = 3
        exit exit_status
    }
    print "time,position" > "trajectory.csv"
    for (n = 1; n <= value["steps"]; n++) {
        v -= (stiffness * x + damping * v) / mass * step
        before = x
        x += v * step
        if (before * x < 0) { crossings++; last = n * step; if (crossings == 1) first = last }
        if (n % 10 == 0) {
            printf "%.2f,%.6f\n", n * step, x > "trajectory.csv"
            printf "{\"step\": %d, \"time\": %.2f, \"time_unit\": \"s\", ", n, n * step > "progress.jsonl"
            printf "\"position\": %.6f, \"position_unit\": \"m\"}\n", x > "progress.jsonl"
            fflush("progress.jsonl")
        }
    }
    printf "steps done: %d\n", n - 1
    if (crossings > 1) printf "period = %.4f s\n", 2 * (last - first) / (crossings - 1)
    printf "position at the end = %.6f m\n", x
}

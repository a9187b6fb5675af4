// The job of `hops` in Go: a goroutine for each stage, a buffered channel at each boundary.
// As in https://go.dev/blog/pipelines (each stage sends to its own channel and closes it; the next ranges over it).
// Usage: channels ITEMS BUFFER. Prints {"wall": seconds, "processor": seconds} of the second run.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

func numbers(n, buffer int) <-chan int {
	out := make(chan int, buffer)
	go func() {
		defer close(out)
		for i := 0; i < n; i++ {
			out <- i
		}
	}()
	return out
}

func mapped(in <-chan int, buffer int, each func(int) int) <-chan int {
	out := make(chan int, buffer)
	go func() {
		defer close(out)
		for item := range in {
			out <- each(item)
		}
	}()
	return out
}

func filtered(in <-chan int, buffer int, each func(int) bool) <-chan int {
	out := make(chan int, buffer)
	go func() {
		defer close(out)
		for item := range in {
			if each(item) {
				out <- item
			}
		}
	}()
	return out
}

func processor() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(used.Utime) + seconds(used.Stime)
}

func timed(n, buffer int) (float64, float64) {
	before, start := processor(), time.Now()
	plus := mapped(numbers(n, buffer), buffer, func(i int) int { return i + 1 })
	even := filtered(plus, buffer, func(i int) bool { return i%2 == 0 })
	total := 0
	for range mapped(even, buffer, func(i int) int { return i * 2 }) {
		total++
	}
	wall := time.Since(start).Seconds()
	if total != n/2 {
		panic(fmt.Sprintf("%d items arrived, not %d", total, n/2))
	}
	return wall, processor() - before
}

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	buffer, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	timed(n/10*2, buffer)
	wall, used := timed(n, buffer)
	fmt.Printf("{\"wall\": %g, \"processor\": %g}\n", wall, used)
}

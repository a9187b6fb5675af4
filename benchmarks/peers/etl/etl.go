// The job `etl` in Go: a goroutine per stage, rows over buffered channels.
//
//	etl INPUT OUTPUT     prints {"wall": seconds, "processor": seconds}
//
// Reading, adding the column and writing rows each have a goroutine; gzip has another one behind a pipe, so that it
// works at the same time as they do.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"
)

const (
	column   = "processed"
	value    = "2024-03-01T12:00:00Z"
	capacity = 1024
	buffer   = 64 << 10
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func parse(in io.Reader, rows chan<- []string) {
	defer close(rows)
	reader := csv.NewReader(bufio.NewReaderSize(in, buffer))
	for {
		row, err := reader.Read()
		if err == io.EOF {
			return
		}
		check(err)
		rows <- row
	}
}

func add(rows <-chan []string, longer chan<- []string) {
	defer close(longer)
	longer <- append(<-rows, column)
	for row := range rows {
		longer <- append(row, value)
	}
}

func format(rows <-chan []string, out *io.PipeWriter) {
	buffered := bufio.NewWriterSize(out, buffer)
	writer := csv.NewWriter(buffered)
	for row := range rows {
		check(writer.Write(row))
	}
	writer.Flush()
	check(writer.Error())
	check(buffered.Flush())
	check(out.Close())
}

func compress(in io.Reader, out io.Writer) {
	buffered := bufio.NewWriterSize(out, buffer)
	writer, err := gzip.NewWriterLevel(buffered, 6)
	check(err)
	_, err = io.CopyBuffer(writer, in, make([]byte, buffer))
	check(err)
	check(writer.Close())
	check(buffered.Flush())
}

func processor() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	start := time.Now()
	in, err := os.Open(os.Args[1])
	check(err)
	defer in.Close()
	out, err := os.Create(os.Args[2])
	check(err)
	rows, longer := make(chan []string, capacity), make(chan []string, capacity)
	read, write := io.Pipe()
	go parse(in, rows)
	go add(rows, longer)
	go format(longer, write)
	compress(read, out)
	check(out.Close())
	fmt.Printf("{\"wall\": %f, \"processor\": %f}\n", time.Since(start).Seconds(), processor())
}

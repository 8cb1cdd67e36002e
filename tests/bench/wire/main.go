// Command wire is both ends of a measurement: an engine that costs next to nothing and clients that cost little, so that
// what stands between them is what is measured. It is compiled for that reason alone and has no part in the product.
//
//	wire engine PORT SPACING      answer on 127.0.0.1:PORT; SPACING lies between two events of a stream
//	wire load FLAGS               send requests and print what became of them as one JSON object
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("say engine or load")
	}
	switch os.Args[1] {
	case "engine":
		if len(os.Args) != 4 {
			fail("engine PORT SPACING")
		}
		spacing, err := time.ParseDuration(os.Args[3])
		if err != nil {
			fail(err.Error())
		}
		fail(serve(os.Args[2], spacing).Error())
	case "load":
		if err := load(os.Args[2:]); err != nil {
			fail(err.Error())
		}
	default:
		fail("no such command: " + os.Args[1])
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "wire:", why)
	os.Exit(1)
}

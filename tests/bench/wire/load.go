package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// settings of one measurement; each client sends its next request when the last one is answered.
type settings struct {
	address  string
	clients  int
	requests int
	bytes    int
	events   int
	secure   bool
	distinct bool
	slow     bool
}

// report is what became of all requests; times are in microseconds.
type report struct {
	Requests int64   `json:"requests"`
	Failed   int64   `json:"failed"`
	Events   int64   `json:"events"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	First    string  `json:"first_failure,omitempty"`
}

type crowd struct {
	settings
	next, done, failed, events atomic.Int64
	lock                       sync.Mutex
	times                      []time.Duration
	first                      string
}

func load(arguments []string) error {
	var s settings
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	flags.StringVar(&s.address, "to", "127.0.0.1:8080", "host and port")
	flags.IntVar(&s.clients, "clients", 1, "how many ask at a time")
	flags.IntVar(&s.requests, "requests", 1000, "how many requests in all")
	flags.IntVar(&s.bytes, "bytes", 1024, "size of a body")
	flags.IntVar(&s.events, "events", 0, "events of a stream; 0 asks for a whole answer")
	flags.BoolVar(&s.secure, "tls", false, "speak TLS and believe any certificate")
	flags.BoolVar(&s.distinct, "distinct", false, "no two prompts begin alike")
	flags.BoolVar(&s.slow, "slow", false, "read one byte in a second")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	found := (&crowd{settings: s}).run()
	return json.NewEncoder(os.Stdout).Encode(found)
}

func (c *crowd) run() report {
	started := time.Now()
	var all sync.WaitGroup
	for range c.clients {
		all.Go(c.client)
	}
	all.Wait()
	seconds := time.Since(started).Seconds()
	slices.Sort(c.times)
	return report{c.done.Load(), c.failed.Load(), c.events.Load(), seconds, c.at(0.5), c.at(0.99), c.first}
}

func (c *crowd) at(share float64) float64 {
	if len(c.times) == 0 {
		return 0
	}
	return float64(c.times[int(share*float64(len(c.times)-1))].Nanoseconds()) / 1e3
}

func (c *crowd) client() {
	var times []time.Duration
	var line *connection
	for number := c.next.Add(1); number <= int64(c.requests); number = c.next.Add(1) {
		began := time.Now()
		var err error
		if line == nil {
			line, err = c.open()
		}
		if err == nil {
			err = c.ask(line, number)
		}
		if err != nil {
			c.trouble(err)
			line = nil
			continue
		}
		if line.over {
			_ = line.Close()
			line = nil
		}
		times = append(times, time.Since(began))
		c.done.Add(1)
	}
	c.lock.Lock()
	c.times = append(c.times, times...)
	c.lock.Unlock()
}

// connection is over when its answer said that no other will come.
type connection struct {
	net.Conn
	reader *bufio.Reader
	over   bool
	events int
}

func (c *crowd) open() (*connection, error) {
	plain, err := net.DialTimeout("tcp", c.address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if c.secure {
		plain = tls.Client(plain, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of the test's own
	}
	return &connection{plain, bufio.NewReaderSize(plain, 16384), false, 0}, nil
}

func (c *crowd) ask(line *connection, number int64) error {
	if _, err := line.Write(c.request(number)); err != nil {
		return err
	}
	reply, err := http.ReadResponse(line.reader, nil)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	line.over = reply.Close
	before := line.events
	read, err := c.read(line, reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", reply.StatusCode, read)
	}
	if err == nil && c.settings.events > 0 && !bytes.HasSuffix(read, []byte(last)) {
		err = fmt.Errorf("a stream did not end with [DONE]: %.200s", read)
	}
	if came := line.events - before; err == nil && c.settings.events > 0 && came != c.settings.events+1 {
		err = fmt.Errorf("a stream had %d events and was to have %d: %.200s", came, c.settings.events+1, read)
	}
	return err
}

// read reads an answer to its end and counts the ends of events; what comes back is its last bytes.
func (c *crowd) read(line *connection, body io.Reader) ([]byte, error) {
	buffer, tail, open := make([]byte, 16384), []byte(nil), false
	if c.slow {
		buffer = buffer[:1]
	}
	for {
		n, err := body.Read(buffer)
		ends := 0
		for _, char := range buffer[:n] { // the two ends of line may come in two pieces
			if char == '\n' && open {
				ends++
			}
			open = char == '\n' && !open
		}
		line.events += ends
		c.events.Add(int64(ends))
		tail = append(tail, buffer[:n]...)
		tail = tail[max(0, len(tail)-256):]
		if err == io.EOF {
			return tail, nil
		}
		if err != nil {
			return tail, err
		}
		if c.slow {
			time.Sleep(time.Second)
		}
	}
}

func (c *crowd) request(number int64) []byte {
	name := "the same for everybody"
	if c.distinct {
		name = fmt.Sprintf("%x", number*2654435761)
	}
	end := `"}],"max_tokens":3,"stream":false}`
	if c.settings.events > 0 {
		end = fmt.Sprintf(`"}],"max_tokens":%d,"stream":true}`, c.settings.events)
	}
	start := `{"model":"m","messages":[{"role":"user","content":"` + name + " "
	words := max(0, c.bytes-len(start)-len(end))
	text := strings.Repeat("word ", words/5+1)[:words]
	body := start + text + end
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"+
		"authorization: Bearer key\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}

func (c *crowd) trouble(err error) {
	c.failed.Add(1)
	c.lock.Lock()
	if c.first == "" {
		c.first = err.Error()
	}
	c.lock.Unlock()
}

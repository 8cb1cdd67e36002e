package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"time"
)

// What an engine's answers look like on the wire: about 300 bytes for a whole one, about 200 for an event.
const (
	head   = `{"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion","created":1700000000,"model":"m",`
	whole  = head + `"choices":[{"index":0,"message":{"role":"assistant","content":"word word word"},"finish_reason":"stop"}],` + usage
	usage  = `"usage":{"prompt_tokens":%d,"completion_tokens":3,"total_tokens":%d}`
	event  = `data: ` + head + `"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	last   = "data: [DONE]\n\n"
	kept   = `,"kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,"remote_engine_id":"e","remote_block_ids":[1],"remote_host":"127.0.0.1","remote_port":5600}`
	models = `{"object":"list","data":[{"id":"m","object":"model","created":1700000000,"owned_by":"vllm","max_model_len":1000000}]}`
)

// serve answers as an engine would, without computing anything. A body says how: "stream":true and "max_tokens":N events.
func serve(port string, spacing time.Duration) error {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	mux.HandleFunc("/health", ok)
	mux.HandleFunc("/metrics", ok)
	mux.HandleFunc("/v1/models", said(models))
	mux.HandleFunc("/get_model_info", said(`{"model_path":"m","tokenizer_path":"m","is_generation":true}`))
	mux.HandleFunc("/get_server_info", said(`{"model_path":"m","served_model_name":"m"}`))
	mux.HandleFunc("/server_info", said(`{"model_path":"m","served_model_name":"m"}`))
	mux.HandleFunc("/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) { answer(w, r, spacing) })
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	return (&http.Server{Handler: mux}).Serve(listener)
}

func said(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, text)
	}
}

func answer(w http.ResponseWriter, r *http.Request, spacing time.Duration) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !says(body, `"stream":`) {
		w.Header().Set("content-type", "application/json")
		tokens, params := len(body)/4, ""
		if bytes.Contains(body, []byte("do_remote_decode")) {
			params = kept
		}
		_, _ = fmt.Fprintf(w, whole+params+"}", tokens, tokens+3)
		return
	}
	w.Header().Set("content-type", "text/event-stream; charset=utf-8")
	key := `"max_tokens":`
	if bytes.Contains(body, []byte(`"max_completion_tokens":`)) { // what one of the routers makes of it
		key = `"max_completion_tokens":`
	}
	stream(w, r, number(body, key), spacing)
}

// stream makes events at their own times: the second one comes by chance within a spacing of the first, those that follow
// come a spacing apart. Else streams that begin together would go on together, and a router that begins them one close
// behind the other would have its events in bunches, which cost less, where a slower one would not.
func stream(w http.ResponseWriter, r *http.Request, events int, spacing time.Duration) {
	flusher := w.(http.Flusher)
	next := time.Now()
	if spacing > 0 {
		next = next.Add(-time.Duration(rand.Int63n(int64(spacing))))
	}
	for left := events; left > 0; left-- {
		if _, err := io.WriteString(w, event); err != nil {
			return
		}
		flusher.Flush()
		if left > 1 && spacing > 0 {
			next = next.Add(spacing)
			select {
			case <-time.After(time.Until(next)):
			case <-r.Context().Done():
				return
			}
		}
	}
	_, _ = io.WriteString(w, last)
}

// says tells whether a key is followed by true, whatever white space a router wrote between them.
func says(body []byte, key string) bool {
	return bytes.HasPrefix(after(body, key), []byte("true"))
}

// number reads the whole number behind a key; 1 where there is none.
func number(body []byte, key string) int {
	digits := after(body, key)
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	found, err := strconv.Atoi(string(digits[:end]))
	if err != nil {
		return 1
	}
	return found
}

func after(body []byte, key string) []byte {
	at := bytes.LastIndex(body, []byte(key))
	if at < 0 {
		return nil
	}
	return bytes.TrimLeft(body[at+len(key):], " ")
}

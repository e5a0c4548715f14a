// Go's net/http as it comes, but for the authority it trusts: over TLS it offers h2 by ALPN.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

type answer struct {
	Call   string `json:"call"`
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func main() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if file := os.Getenv("INTEROP_CA"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := &http.Client{Transport: transport}
	command := ""
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		part := strings.Split(lines.Text(), "\t")
		said, id := send(client, part, command)
		if part[0] == "command" {
			command = id
		}
		line, _ := json.Marshal(said)
		fmt.Println(string(line))
	}
}

func send(client *http.Client, part []string, command string) (answer, string) {
	call, method, path, authorised, key, body := part[0], part[1], part[2], part[3], part[4], part[5]
	url := os.Getenv("INTEROP_URL") + strings.Replace(path, "{id}", command, 1)
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequest(method, url, content)
	if err != nil {
		return answer{call, 0, err.Error()}, ""
	}
	if authorised == "1" {
		request.Header.Set("Authorization", "Bearer "+os.Getenv("INTEROP_KEY"))
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
		request.Header.Set("Prefer", "wait=10")
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{call, 0, err.Error()}, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{call, 0, err.Error()}, ""
	}
	return answer{call, response.StatusCode, string(text)}, response.Header.Get("Request-Id")
}

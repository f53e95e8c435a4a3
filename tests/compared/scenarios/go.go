// 4 · a library in Go, whose runtime never ends
package main

import "C"
import "strings"

//export act
func act() {
	done := make(chan string)
	go func() { done <- strings.ToUpper("go") }()
	if <-done != "GO" {
		panic("go")
	}
}

func main() {}

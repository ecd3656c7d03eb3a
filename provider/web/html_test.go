package web

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/medximity/idp/flows"
)

type signIn = flows.SignInPage

// inlineOf returns what a page could run that is not ours, or "".
func inlineOf(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" {
			scripts++
		}
		if n.Data == "iframe" && (attr(n, "sandbox") != "allow-same-origin allow-scripts") {
			return "an open <iframe>"
		}
		if slices.Contains([]string{"img", "object", "embed", "base", "meta"}, n.Data) && attr(n, "src") != "" {
			return "a <" + n.Data + ">"
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "autofocus" {
				return "<" + n.Data + " " + a.Key + ">"
			}
			if slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key) &&
				strings.Contains(strings.ToLower(a.Val), "javascript:") && !strings.HasPrefix(a.Val, "/") {
				return "<" + n.Data + " " + a.Key + "=" + a.Val + ">"
			}
		}
	}
	if scripts != 1 {
		return "more scripts than ours"
	}
	return ""
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

# Everything here is a plain Go command; `make` only saves typing. Tools are pinned by version and need no installation.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BUF         := github.com/bufbuild/buf/cmd/buf@v1.75.0

.PHONY: build test race lint proto check bench image

build: ## the one binary
	go build -o orderyard ./cmd/orderyard

test: ## what the README says
	go test ./...

race: ## the same under the race detector (needs a C compiler)
	go test -race -timeout 30m ./...

lint: ## format, vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

proto: ## generate messages/*.pb.go again; the result is committed
	cd messages && go run $(BUF) generate

check: lint test ## before every commit

bench: build ## rates of one hot bucket and of whole orders, with the machine's raw disk and JetStream beside them
	./orderyard bench hot
	./orderyard bench orders

image: ## the container image; needs Docker
	docker build --build-arg VERSION=$$(git describe --tags --always --dirty) -t orderyard:dev .

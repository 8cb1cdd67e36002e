module dpd/bench/wire

go 1.26

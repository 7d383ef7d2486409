// Package killtest holds the tests that end the program at its worst moments and keep it at work for long: what is killed
// with -9 at any step must lose nothing and buy nothing twice, and what works on must not grow. Its code is all in tests.
package killtest

#!/bin/sh
# Makes the spoken files of this folder with espeak-ng (apt-get install espeak-ng). They are committed, so that the demo
# sounds the same on every machine; run this again only to change the words.
set -eu
cd "$(dirname "$0")"
say() { espeak-ng -v en-us+f3 -s 160 -w "$1" "$2"; }
say caller-question.wav "Good morning. When does the next train to the coast leave?"
say caller-interrupts.wav "Sorry, one moment. How much is a ticket?"
say caller-thanks.wav "Thank you very much. That is all."

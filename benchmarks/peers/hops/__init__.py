"""The job of `hops`: N integers through `+1`, *keep the even ones*, `*2`, counted at the end."""

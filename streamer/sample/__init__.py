"""The live views of the sample contact centre: agents, queues, alerts and timelines, and what computes them.

They are served if the contracts declare the results of the sample's jobs. `streamer/ui` is their page.
"""

"""Which page answers at which address?"""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

# The stack of infra/template.yaml, with the zips of `weaudit package`. The template is the only source of what is in the
# stack: here it is pointed at the uploaded packages, as `weaudit deploy` does it, and handed to CloudFormation.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  stack    = "${var.prefix}weaudit-${var.stage}"
  region   = data.aws_region.current.name
  bucket   = coalesce(var.artifact_bucket, "weaudit-artifacts-${data.aws_caller_identity.current.account_id}-${local.region}")
  template = coalesce(var.template, "${path.module}/../../template.yaml")
  packages = coalesce(var.packages, "${path.module}/../../../dist")

  parameters = merge(var.parameters, {
    Prefix            = var.prefix
    EnvironmentSuffix = var.stage
    Retain            = tostring(var.retain)
  })

  # What is uploaded is named by its content, and belongs to this stack alone: destroying it takes nothing from another.
  uploads = "terraform/${local.stack}"
  lines   = split("\n", file(local.template))
  code    = "^\\s*CodeUri: \\.\\./dist/([\\w-]+)\\.zip\\s*$"
  names   = toset([for line in local.lines : regex(local.code, line)[0] if can(regex(local.code, line))])
  keys = {
    for name in local.names :
    name => "${local.uploads}/functions/${name}/${filesha256("${local.packages}/${name}.zip")}.zip"
  }

  # SAM publishes a version of a function where the template's text about it differs. So that a parameter's new value
  # reaches the alias as well, the Description before CodeUri gets a digest of the parameters.
  settings = substr(sha256(jsonencode(local.parameters)), 0, 8)
  body = join("\n", [
    for number, line in local.lines : (
      can(regex(local.code, line))
      ? replace(line, "/\\.\\.\\/dist\\/.*$/", "s3://${local.bucket}/${local.keys[regex(local.code, line)[0]]}")
      : can(regex("^\\s*Description:", line)) && can(regex(local.code, local.lines[number + 1]))
      ? "${line} (settings ${local.settings})"
      : line
    )
  ])
  template_key = "${local.uploads}/templates/${sha256(local.body)}.yaml"
}

# create_before_destroy: while a stack is updated, and where it has to go back, CloudFormation still reads the old ones.

resource "aws_s3_object" "package" {
  for_each = local.keys

  bucket       = local.bucket
  key          = each.value
  source       = "${local.packages}/${each.key}.zip"
  content_type = "application/zip"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_s3_object" "template" {
  bucket       = local.bucket
  key          = local.template_key
  content      = sensitive(local.body) # nothing secret: a plan would show all of it, whatever changed
  content_type = "application/yaml"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "weaudit" {
  name         = local.stack
  parameters   = local.parameters
  capabilities = ["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"]
  tags         = merge(var.tags, { "weaudit:stack" = local.stack, "weaudit:deployed-by" = "terraform" })

  # By URL: the template is longer than what CloudFormation takes by itself.
  template_url = join("/", [
    var.endpoint_url != null ? "${var.endpoint_url}/${local.bucket}" : "https://${local.bucket}.s3.${local.region}.${data.aws_partition.current.dns_suffix}",
    aws_s3_object.template.key,
  ])

  depends_on = [aws_s3_object.package]
}
